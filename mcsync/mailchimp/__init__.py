"""The adapter that speaks Mailchimp's Marketing API v3."""
