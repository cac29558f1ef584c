"""What goes in and out over HTTP: shapes, with examples, that check requests and make the OpenAPI document."""
