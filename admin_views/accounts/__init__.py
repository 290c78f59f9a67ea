"""SMSアカウント and 決済アカウント: contracts with providers, and what they wait for."""
