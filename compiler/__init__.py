"""The compiler: from a scheme to a plan, to a program, to its certificate."""
