"""The web page's front end, made with Gradio; its back end is `wyoming_tts.page`.

`application` is the page as an ASGI app: the tabs in the order of `layout`, with the patches of
`gradio_patches`. `prerender` makes it files once for each version, with the JavaScript modules in `js/`
(`scripts`) and those of Gradio (`front_end`); these files are what is served. Each tab is a module:
`audition`, `blending`, `stream_test`, `voices`, `status`. `words` reads its texts from `words/*.yaml`,
`style/` has the CSS.

Importing any module of this package imports Gradio, after the patches that have to precede that.
"""

from __future__ import annotations

from ui.gradio_patches import quiet_environment, without_stub_writing

without_stub_writing()
with quiet_environment():
    import gradio  # noqa: F401
