"use strict";
(function () {
  var root = document.documentElement;
  var titles = { sv: document.title, en: root.dataset.titleEn };
  function show(language) {
    root.lang = language;
    root.classList.toggle("en", language === "en");
    document.title = titles[language];
    document.querySelectorAll("img[data-alt-en]").forEach(function (picture) {
      picture.dataset.altSv = picture.dataset.altSv || picture.alt;
      picture.alt = language === "en" ? picture.dataset.altEn : picture.dataset.altSv;
      picture.lang = language;
    });
  }
  function choose(language) {
    document.getElementById("lang-" + language).checked = true;
    show(language);
  }
  ["sv", "en"].forEach(function (language) {
    document.getElementById("lang-" + language).addEventListener("change", function () { show(language); });
  });
  var open = [];
  window.addEventListener("beforeprint", function () {
    open = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    open.forEach(function (part) { part.open = true; });
  });
  window.addEventListener("afterprint", function () {
    open.forEach(function (part) { part.open = false; });
  });
  if (location.hash === "#en") { choose("en"); }
}());
