"""Money: asked for when the person presses pay, believed when the payment provider itself says so.

In: a person who presses pay, a browser that comes back, a webhook, the clock. Out: a payment page to lead to, and the
state of each payment and person. Can't happen here: "paid" by anybody's word but the payment provider's answer to our
own question (`confirm`); two attempts under way for one person (`checkout`); another amount, currency or order taken
for ours.
"""
