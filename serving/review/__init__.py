"""The review pages: people compare model and rules, decide, and revise the definition of hot."""
