"""The HTML report of a scored file, and what notebooks show."""
