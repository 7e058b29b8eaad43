"""The Models page: models on the disk, downloads under way, the catalogue, and the wish for another model."""
