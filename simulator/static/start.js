// Follows a deep link (#/console?account_id=…&role_name=…): marks what it names, or says that it isn't there.
(function () {
  const fragment = window.location.hash;
  for (const form of document.querySelectorAll("form[data-keeps-fragment]")) {
    form.action = form.getAttribute("action") + fragment;
  }
  const wanted = new URLSearchParams(fragment.split("?")[1] || "");
  const account = wanted.get("account_id");
  const role = wanted.get("role_name");
  const note = document.getElementById("asked");
  if (!note || !account || !role) {
    return;
  }
  const found = Array.from(document.querySelectorAll("form[data-account]")).find(
    (form) => form.dataset.account === account && form.dataset.role === role
  );
  note.hidden = false;
  if (found) {
    note.textContent = "The link leads to " + role + " on account " + account + ".";
    found.querySelector("button").focus();
  } else {
    note.textContent = "The link leads to " + role + " on account " + account + ", which can't be opened at the moment.";
  }
})();
