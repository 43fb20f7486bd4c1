"""What is kept on disk, in the user's folders. Files of others, and broken ones, are passed over."""
