"""`advisor doctor`: what detection sees of a machine, checked, and written down so that it is seen elsewhere.

The report is made from a source alone, so that a recording says what the machine said. `examination` makes
it, `checks` holds what is looked at; `page` writes a recording down as Markdown, after `shortening` and
`scrub` took out what is nobody's business; `dump` reads it back.
"""
