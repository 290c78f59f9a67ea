// What every page of the back office does without inline handlers, which its content security policy forbids.
(function () {
  "use strict";

  // Flask-Admin writes href="javascript:void(0)" on links that scripts handle; following one is a policy violation.
  document.addEventListener("click", function (event) {
    var link = event.target.closest('a[href^="javascript:"], .field-filters a.filter');
    if (link) event.preventDefault();
  }, true);

  document.addEventListener("click", function (event) {
    var target = event.target.closest("[data-model-action], [data-inline-add], [data-dismiss-flash]");
    if (!target) return;
    if (target.dataset.modelAction) {
      event.preventDefault();
      window.modelActions.execute(target.dataset.modelAction);
    } else if (target.dataset.inlineAdd) {
      event.preventDefault();
      addInline(target);
    } else {
      target.closest(".flash").remove();
    }
  });

  function addInline(button) {
    var list = button.closest(".inline-field").querySelector(".inline-field-list");
    var most = Number(button.dataset.inlineMost || 0);
    if (most && list.children.length >= most) {
      window.alert(button.dataset.inlineFull);
      return;
    }
    window.faForm.addInlineField(button, button.dataset.inlineAdd);
  }

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
