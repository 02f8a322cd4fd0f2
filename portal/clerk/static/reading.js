// Reading the card in the counter's reader. The script asks the desk for a permission, the
// card program for what is written on the card, and sends both with the page's form; it
// decides nothing.
//
// Contract with the page (portal/clerk/reading.go):
//
//   <form data-read method="post"          sent once both fields are filled
//         data-permission="/fr/desk/new/permission"   POST → {"permission": "…"}
//         data-commune="Beaumarais" data-lang="fr" data-ports="17394 …"
//         data-texts='{"looking": "…", "no_card": "…"}'>
//     <input type="hidden" name="permission"> <input type="hidden" name="identity">
//     <input type="hidden" name="number">    what stands in #number, if anything
//     <button>…</button> <div data-status></div>
//   </form>
//
// It goes through our agent only (internal/cardscript/card.js, which is served in front of
// this): the Web eID extension reads no files.

const form = document.querySelector('form[data-read]');
if (form) start(form);

function start(form) {
  const view = makeView(form);
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    view.begin();
    try {
      const { permission, commune, lang, ports } = form.dataset;
      const network = await networkPermission();
      if (network === 'denied') throw new Problem('network_refused');
      form.elements.permission.value = await allowed(permission);
      const begun = await beginAtAgent(basesOfAgent(ports), 'identity', { commune, photo: true, lang }, network);
      view.progress('confirm');
      form.elements.identity.value = JSON.stringify((await throughAgent(begun, view)).identity);
      form.elements.number.value = document.querySelector('#number')?.value || '';
      view.progress('sending');
      HTMLFormElement.prototype.submit.call(form); // without the event
    } catch (error) {
      view.problem(error instanceof Problem ? error.code : 'failed');
    } finally {
      busy = false;
    }
  });
  // Back from the browser's memory: the permission was used.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) view.end();
  });
}

// allowed asks the desk for a permission. A session that ended meanwhile leads to signing in and back.
async function allowed(address) {
  const response = await fetch(address, { method: 'POST', redirect: 'manual', headers: { Accept: 'application/json' } });
  if (response.type === 'opaqueredirect') {
    window.location.reload();
    return new Promise(() => {});
  }
  if (!response.ok) throw new Problem('failed');
  return (await response.json()).permission;
}

// ---- What the clerk sees and hears.

function makeView(form) {
  const texts = JSON.parse(form.dataset.texts);
  const place = form.querySelector('[data-status]');
  const make = (role, look) => {
    const p = place.appendChild(document.createElement('p'));
    p.className = look;
    if (role) p.setAttribute('role', role);
    return p;
  };
  const progress = make('status', 'govuk-body');
  const offer = make('', 'govuk-body');
  const problem = make('alert', 'govuk-error-message');
  const button = form.querySelector('button');
  const clear = () => {
    progress.textContent = '';
    offer.replaceChildren();
    problem.textContent = '';
  };
  return {
    begin() {
      clear();
      progress.textContent = texts.looking;
      button.setAttribute('aria-disabled', 'true');
    },
    end() {
      clear();
      button.setAttribute('aria-disabled', 'false');
    },
    progress(code) {
      progress.textContent = texts[code];
    },
    offer(address) {
      showOffer(offer, address, texts.step_open);
    },
    withdraw() {
      offer.replaceChildren();
    },
    problem(code) {
      this.end();
      problem.textContent = texts[code] || texts.failed;
      button.focus();
    },
  };
}
