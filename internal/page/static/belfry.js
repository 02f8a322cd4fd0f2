// What makes a page that works without script a little kinder with it: the error
// summary takes the focus, a form is sent once. Everything else stays HTML.
import { initAll } from './vendor/govuk-frontend.min.js';

document.body.classList.add('js-enabled', 'govuk-frontend-supported');
initAll();

for (const form of document.querySelectorAll('form[data-once]')) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = 'yes';
  });
}
// What somebody typed outlives a session that ends meanwhile: it waits in this window
// until the form is shown again to the same person, and is forgotten with anybody else.
const person = document.querySelector('.b-person span')?.textContent.trim();
for (const form of document.querySelectorAll('form[data-keep]')) {
  const place = `typed ${new URL(form.action).pathname}`;
  const fields = () => [...form.elements].filter((f) => f.name && ['radio', 'email', 'tel', 'text', 'textarea'].includes(f.type));
  const kept = JSON.parse(sessionStorage.getItem(place) || 'null');
  sessionStorage.removeItem(place);
  if (kept && kept.person === person && !document.querySelector('.govuk-error-summary')) {
    for (const f of fields()) {
      if (!(f.name in kept.values)) continue;
      if (f.type === 'radio') f.checked = kept.values[f.name] === f.value;
      else f.value = kept.values[f.name];
    }
  }
  form.addEventListener('submit', () => {
    const values = {};
    for (const f of fields()) if (f.type !== 'radio' || f.checked) values[f.name] = f.value;
    sessionStorage.setItem(place, JSON.stringify({ person, values }));
  });
}

// Answers are kept without being asked for: a moment after the last change, and when the page
// is left. What the commune says of it is read out once. Who comes back to a question is there.
for (const form of document.querySelectorAll('form[data-autosave]')) {
  const status = form.querySelector('[role="status"]');
  let changed = false;
  let leaving = false;
  let timer;
  const answers = () => {
    const values = new URLSearchParams(new FormData(form));
    values.set('auto', '1');
    return values;
  };
  const say = (text) => {
    if (status.textContent.trim() === text) return;
    const line = document.createElement('p');
    line.className = 'govuk-body b-quiet';
    line.textContent = text;
    status.replaceChildren(line);
  };
  const keep = async () => {
    if (!changed || leaving) return;
    changed = false;
    try {
      const answer = await fetch(form.action, { method: 'POST', body: answers(), redirect: 'manual' });
      if (!answer.ok) throw new Error();
      say(await answer.text());
    } catch {
      changed = true;
      say(form.dataset.autosave);
    }
  };
  const leave = () => {
    if (!changed || leaving) return;
    changed = !navigator.sendBeacon(form.action, answers());
  };
  form.addEventListener('input', () => {
    changed = true;
    clearTimeout(timer);
    timer = setTimeout(keep, 3000);
  });
  form.addEventListener('submit', () => { leaving = true; });
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'hidden') leave(); });
  window.addEventListener('pagehide', leave);
  window.addEventListener('pageshow', () => { leaving = false; });
  const asked = location.hash && document.getElementById(location.hash.slice(1));
  if (asked && form.contains(asked)) asked.focus();
}

// A file to check can be compared by its hash, and then stays where it is.
for (const form of document.querySelectorAll('form[data-sum]')) {
  if (!crypto.subtle) continue; // not over a plain connection
  const chosen = form.querySelector('input[type="file"]');
  const status = form.querySelector('[role="status"]');
  const compare = form.querySelector('[data-compare]');
  compare.hidden = false;
  const say = (text) => {
    const line = document.createElement('p');
    line.className = 'govuk-body';
    line.textContent = text;
    status.replaceChildren(line);
  };
  chosen.addEventListener('change', () => status.replaceChildren());
  compare.addEventListener('click', async () => {
    const file = chosen.files[0];
    if (!file) return say(status.dataset.none);
    say(status.dataset.busy);
    try {
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
      const sum = Array.from(hash, (b) => b.toString(16).padStart(2, '0')).join('');
      const answer = await fetch(form.dataset.sum, { method: 'POST', body: new URLSearchParams({ sum }) });
      if (answer.status === 404) return say(status.dataset.unknown);
      const found = document.createElement('form'); // its page, or what is wrong
      const field = Object.assign(document.createElement('input'), { type: 'hidden', name: 'sum', value: sum });
      Object.assign(found, { method: 'post', action: form.dataset.sum }).append(field);
      document.body.append(found);
      found.submit();
    } catch {
      say(status.dataset.failed);
    }
  });
}

// Where a form is sent on or discarded, the commune has kept what was typed, or is to forget it.
for (const form of document.querySelectorAll('form[action$="/send"], form[action$="/discard"]')) {
  sessionStorage.removeItem(`typed ${new URL(form.action).pathname.replace(/(send|discard)$/, 'form')}`);
}

// A page that comes back from the browser's memory may be sent again.
window.addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
});

// A page that waits for the service looks now and then whether it is done, for two minutes.
for (const waiting of document.querySelectorAll('[data-watch]')) {
  let tries = 120;
  const before = waiting.dataset.state;
  const look = async () => {
    try {
      const answer = await fetch(waiting.dataset.watch);
      const now = answer.ok ? await answer.text() : before;
      if (now !== before) return location.reload();
    } catch { /* the next look may succeed */ }
    if (--tries > 0) setTimeout(look, 1000);
  };
  look();
}

// A paper is printed from a frame of this page, where the browser shows PDF by itself;
// elsewhere, and where it does not let a frame print, its link opens it.
for (const link of document.querySelectorAll('a[data-print]')) {
  link.addEventListener('click', (event) => {
    if (!navigator.pdfViewerEnabled || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    document.querySelector('iframe.b-print')?.remove();
    const frame = document.createElement('iframe');
    frame.className = 'b-print';
    frame.title = link.textContent.trim();
    frame.tabIndex = -1;
    frame.addEventListener('load', () => {
      try {
        frame.contentWindow.focus();
        frame.contentWindow.print();
        frame.dataset.printed = 'yes';
      } catch {
        window.open(link.href, '_blank', 'noopener');
      }
    });
    frame.src = link.href;
    document.body.append(frame);
  });
}
