"""Tell the extensions that need it what the book is called and where it is published.

``title`` and ``html.baseurl`` in ``_config.yml`` say so for all.
"""

from urllib.parse import urlsplit

NOT_FOUND = """
<h1>Page not found</h1>
<p>No page of this book has this address. <a href="{0}index.html">The first page</a> lists the
chapters, and <a href="{0}search.html">the search</a> knows every word of them.</p>
"""


def tell(app, config):
    config.ogp_site_name = config.html_title
    config.ogp_site_url = config.html_baseurl
    root = urlsplit(config.html_baseurl).path or "/"
    config.notfound_urls_prefix = root
    config.notfound_context = {"title": "Page not found", "body": NOT_FOUND.format(root)}


def setup(app):
    app.connect("config-inited", tell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
