"""Pushed packs, inspected by git in a sandbox of their own: `grants.inspection` has the promise."""
