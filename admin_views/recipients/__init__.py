"""送信先: the people written to, one by one and as files."""
