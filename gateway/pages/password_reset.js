(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const form = find("form"), words = form.dataset, language = document.documentElement.lang;
  const [id, token, ...more] = location.hash.slice(1).split(".");
  // The link must not stay in the history of a shared computer.
  history.replaceState(null, "", location.pathname);

  const say = (...lines) => find("said").replaceChildren(...lines.map((line) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    return paragraph;
  }));

  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) || !token || more.length) {
    say(words.broken);
    return;
  }
  form.hidden = false;

  const ways = { mobile: words.wayMobile, totp: words.wayTotp, passkey: words.wayPasskey, luxtrust: words.wayLuxtrust };
  const time = (moment) => {
    const known = Intl.DateTimeFormat.supportedLocalesOf(language).length ? language : "de";
    return new Date(moment).toLocaleString(known, { dateStyle: "long", timeStyle: "short" });
  };
  const next = (told) => told.mail_codes_from
    ? `${words.nextMail} ${time(told.mail_codes_from)}`
    : `${words.nextOther} ${told.channels.map((way) => ways[way] ?? way).join(", ")}`;

  find("show").addEventListener("change", (event) => {
    for (const field of ["password", "again"]) find(field).type = event.target.checked ? "text" : "password";
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const password = find("password").value;
    if (password !== find("again").value) {
      say(words.different);
      return;
    }
    find("send").disabled = true;
    try {
      const answer = await fetch(`/api/v1/password-resets/${id}`, {
        method: "POST", credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
        headers: { "Content-Type": "application/json", "Accept-Language": language },
        body: JSON.stringify({ token, password }),
      });
      const told = await answer.json();
      form.hidden = answer.ok || answer.status === 403;
      say(...(answer.ok ? [words.done, next(told.next)] : [told.detail]));
    } catch {
      say(words.failed);
    }
    find("send").disabled = false;
  });
})();
