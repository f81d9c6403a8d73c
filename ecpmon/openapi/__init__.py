"""What routes declare (`declaring`), and the OpenAPI document that is made of it (`document`): shared by whoever serves
routes, the API and the simulator. What differs between them they say themselves (`facts.Facts`).

At a start `declaring`, `described` and `pages` are imported; the rest by the first who asks for the document.
"""
