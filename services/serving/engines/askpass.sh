#!/bin/sh
# ssh runs this to learn a password or passphrase (SSH_ASKPASS); it comes in the environment, never as an argument.
printf '%s\n' "$LECTERN_SSH_PASSWORD"
