"""A stand-in for the outside world: a carrier that speaks Karaden's HTTP API, and four payment providers.

In: HTTP requests of the real adapters and SDKs, and of people who open its phone and its payment pages in a browser.
Out: answers in the providers' own words, receipts and webhooks to the addresses it was told. It keeps a ledger of every
request and has switches for what goes wrong in life. Can't happen here: a real SMS, real money, or a start in
production. It imports nothing of `app`: it is the outside world.
"""
