"""Door: RQ jobs, thin: each opens a scope and calls one function of app/."""
