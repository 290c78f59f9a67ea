"""Does a page fit a small screen and large letters, and can its controls be hit by a thumb."""

from playwright.sync_api import Page

NARROW_PX = 320
TARGET_PX = 44
LARGER = 2

# sizes are in rem, so that twice the root's size is what a person sees who set their letters to 200 %
_LARGER = "times => { document.documentElement.style.fontSize = times === 1 ? '' : `${17 * times}px`; }"
_FAULTS = """
least => {
  const wide = document.documentElement.clientWidth;
  const faults = [];
  const name = element => element.outerHTML.slice(0, 120);
  const {scrollWidth} = document.documentElement;
  if (scrollWidth > wide) faults.push(`scrolls sideways: ${scrollWidth}`);
  for (const element of document.body.querySelectorAll('*:not(.skip)')) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    if (box.right > wide + 0.5 || box.left < -0.5) faults.push(`beyond the edge: ${name(element)}`);
    const style = getComputedStyle(element);
    if (style.overflow !== 'visible' && (element.scrollWidth > element.clientWidth + 1) && element.tagName !== 'INPUT')
      faults.push(`cut: ${name(element)}`);
  }
  for (const control of document.querySelectorAll('a[href]:not(.skip), button, input:not([type=hidden]), select')) {
    const box = (control.closest('label') ?? control).getBoundingClientRect();
    if (box.height < least - 0.5 || box.width < least - 0.5)
      faults.push(`smaller than ${least} px: ${Math.round(box.width)}x${Math.round(box.height)} ${name(control)}`);
  }
  return faults;
}
"""


def faults(page: Page) -> list[str]:
    """Name what doesn't fit, at 320 px, at letters of 200 %, and at both; the page is left as it was."""
    usual = page.viewport_size
    assert usual is not None  # noqa: S101 - every context of ours has one
    found = []
    for width, times in ((NARROW_PX, 1), (usual["width"], LARGER), (NARROW_PX, LARGER)):
        page.set_viewport_size({"width": width, "height": usual["height"]})
        page.evaluate(_LARGER, times)
        found += [f"{width} px, {times * 100} %: {fault}" for fault in page.evaluate(_FAULTS, TARGET_PX)]
    page.evaluate(_LARGER, 1)
    page.set_viewport_size(usual)
    return found
