"""What reviewers look at: each page written once, for the terminal and as HTML, in both languages."""
