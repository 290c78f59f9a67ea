// Counts an SMS as it is typed, the way the server does: UTF-16 units, the link and the company's name at their length, merge
// fields as nothing. Without this script the server counts when the form is saved.
(function () {
  "use strict";

  var FIELD = /\{([^{}\r\n]{1,100})\}/g;

  document.querySelectorAll("[data-counter]").forEach(function (input) {
    var place = document.getElementById(input.dataset.counter);
    var builtIn = { "リンク": Number(input.dataset.linkUnits), "会社名": Number(input.dataset.companyUnits) };

    function show() {
      var length = count(input.value, builtIn);
      var over = length > Number(input.dataset.limit);
      place.querySelector("[data-count]").textContent = String(length);
      place.querySelector("[data-over]").hidden = !over;
      input.classList.toggle("is-invalid", over);
    }

    input.addEventListener("input", show);
    show();
  });

  function count(text, builtIn) {
    var inserted = 0;
    var rest = text.replace(/\s+$/, "").replace(FIELD, function (whole, name) {
      inserted += builtIn[name.normalize("NFKC").trim()] || 0;
      return "";
    });
    return rest.length + inserted;
  }
})();
