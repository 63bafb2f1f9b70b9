"""Make the built pages need nothing from other hosts, and no script that does nothing for them.

* Jupyter Book loads ``sphinx-thebe`` even where it is switched off, and so puts the address of a
  CDN on every page, twice: a JavaScript error. Its scripts are dropped.
* The formulas are made by typeset_math.py; how the theme's scripts are cut down is written in
  _templates/layout.html.
"""


def drop_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", None) or "")
        and "THEBE_JS_URL" not in getattr(script, "attributes", {}).get("body", "")
    ]


def setup(app):
    # 900: after the handlers that add scripts to the page
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
