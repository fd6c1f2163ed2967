"""The web page's front end, made with Gradio; its back end is `wyoming_tts.page`.

`application` is the page as an ASGI app: the tabs in the order of `layout`, with `patched_gradio`.
`prerender` makes it files once for each version, with the JavaScript modules in `js/` (`scripts`) and those
of Gradio (`front_end`); these files are what is served. Each tab is a module: `audition`, `blending`,
`stream_test`, `voices`, `status`; a `script_element` mounts its script. `words` reads its texts from
`words/*.yaml`, `style/` has the CSS.
"""
