"""配信: the list of campaigns, the form in which one is written, and its pages from 確認 to 結果."""
