"""What the view of chunks is made of: parameters, sizes, and the text in colours."""
