// Keeps a page's figures fresh: [data-live] names a JSON address. Asks after 2 s, then ever more seldom while nothing changes,
// not at all while the page is hidden, and stops when the answer says that nothing more will change, or that it is over
// and nothing has changed for minutes.
// The answer: {"done": bool, "over": bool, "texts": {key: text}, "always": {key: text}, "values": {key: number}}; what is
// always there is no change. Where a page shows another form when done, [data-live-reload] loads it anew.
(function () {
  "use strict";

  var FIRST_MS = 2000;
  var LAST_MS = 30000;
  var root = document.querySelector("[data-live]");
  if (!root) return;

  var wait = FIRST_MS;
  var before = "";
  var timer = null;
  var running = false;
  var finished = false;

  function plan() {
    window.clearTimeout(timer);
    timer = document.hidden ? null : window.setTimeout(ask, wait);
  }

  function ask() {
    if (running || finished) return;
    running = true;
    fetch(root.dataset.live, { credentials: "same-origin", headers: { Accept: "application/json" } })
      .then(function (response) {
        var json = (response.headers.get("Content-Type") || "").indexOf("application/json") === 0;
        if (response.redirected || !json) {
          // signed out meanwhile: the page itself leads to the sign-in
          window.location.reload();
          return null;
        }
        if (!response.ok) throw new Error(String(response.status));
        return response.text();
      })
      .then(function (text) {
        running = false;
        if (text === null) return;
        var state = JSON.parse(text);
        var told = JSON.stringify([state.texts, state.values, state.done]);
        var quiet = told === before && wait >= LAST_MS;
        wait = told === before ? Math.min(wait * 1.5, LAST_MS) : FIRST_MS;
        before = told;
        show(state, quiet);
      })
      .catch(function () {
        running = false;
        wait = Math.min(wait * 2, LAST_MS);
        say("通信できません。自動でもう一度試します。");
        plan();
      });
  }

  function show(state, quiet) {
    say("");
    each("data-live-text", state.always, function (element, text) {
      element.textContent = text;
    });
    each("data-live-text", state.texts, function (element, text) {
      if (element.textContent !== text) element.textContent = text;
    });
    each("data-live-value", state.values, function (element, value) {
      element.setAttribute(element.dataset.liveAttribute || "value", value);
    });
    finished = state.done || (state.over && quiet);
    if (!finished) plan();
    else if (!state.done) stopped();
    else if ("liveReload" in root.dataset) window.location.reload();
  }

  function each(name, values, change) {
    Object.keys(values || {}).forEach(function (key) {
      document.querySelectorAll("[" + name + '="' + key + '"]').forEach(function (element) {
        change(element, values[key]);
      });
    });
  }

  function stopped() {
    var place = root.querySelector("[data-live-stopped]");
    if (place) place.hidden = false;
  }

  function say(text) {
    var place = root.querySelector("[data-live-problem]");
    if (place && place.textContent !== text) place.textContent = text;
  }

  document.addEventListener("visibilitychange", function () {
    wait = FIRST_MS;
    if (document.hidden) window.clearTimeout(timer);
    else ask();
  });
  plan();
})();
