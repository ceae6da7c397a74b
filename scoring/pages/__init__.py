"""Report pages for reviewers: each written once, for the terminal and as HTML, in both languages."""
