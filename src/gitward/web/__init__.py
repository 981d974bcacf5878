"""The pages: HTML for people, made on the server, over the same services as the API."""
