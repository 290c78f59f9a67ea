"""利用者: sign-in, passwords, second factor, sessions, 証跡."""
