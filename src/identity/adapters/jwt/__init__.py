"""Access and refresh tokens as JSON Web Tokens (RFC 7519), and the keys that sign them."""
