"""What each ingredient of the native video model is worth: switched off at use, and left out of training."""
