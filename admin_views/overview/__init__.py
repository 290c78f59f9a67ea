"""ホーム and ヘルプ: what needs doing now, and the guide."""
