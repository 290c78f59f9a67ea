// What every page of the back office does without inline handlers, which its content security policy forbids.
(function () {
  "use strict";

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-dismiss-flash]");
    if (button) button.closest(".flash").remove();
  });

  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
      event.preventDefault();
      return;
    }
    if (!fits(form)) {
      event.preventDefault();
      return;
    }
    if ("once" in form.dataset) once(form, event);
  });

  // the server takes a second press as harmless anyway; this spares the clerk the doubt
  function once(form, event) {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.querySelectorAll("button[type=submit]").forEach(function (button) {
      button.setAttribute("aria-disabled", "true");
      if (form.dataset.once) button.textContent = form.dataset.once;
    });
  }

  window.addEventListener("pageshow", function (event) {
    if (event.persisted) window.location.reload();
  });

  // a file beyond the limit is told before it is sent, not after
  function fits(form) {
    var input = form.querySelector("input[type=file][data-most-bytes]");
    if (!input || !input.files.length || input.files[0].size <= Number(input.dataset.mostBytes)) return true;
    var error = document.getElementById(input.getAttribute("aria-describedby").split(" ")[0]);
    error.textContent = input.dataset.tooLarge;
    error.hidden = false;
    input.setAttribute("aria-invalid", "true");
    input.focus();
    return false;
  }
})();
