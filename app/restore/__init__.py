"""After a restore: what left and was paid since the backup is asked for and written down, then sending goes on.

In: `flask after-restore`. Out: attempts, receipts and payments as the providers know them, people whom the database
doesn't know as numbers that nobody is sent to, and the hold lifted campaign by campaign. Can't happen here: sending
that goes on where a provider could not be asked; a message or payment written down twice.
"""
