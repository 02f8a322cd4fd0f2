// Signing a batch of documents with the clerk's card. The script carries hashes from
// the desk to a card program and signatures back; it sees no PIN and decides nothing.
//
// Contract with the page (portal/clerk/sign.go):
//
//   <form data-sign                        posts nothing; its button begins
//         data-to="/fr/desk/batches/ID"    …/prepare, …/finish and …/failed answer in JSON
//         data-orders="ID ID …"            what is left to sign, in order
//         data-commune="Beaumarais"        shown by our agent
//         data-documents="3"               how many the batch has
//         data-lang="fr" data-ports="17394 …"
//         data-looking data-reading data-hash data-open data-stopping data-lost>   texts
//     <button data-begin> <span data-stop hidden> with a button
//     <div data-status></div>
//   </form>
//   <td data-order="ID">                   what became of each order
//
// The Web eID extension is asked first, where it answers and the page is a secure
// context; else our agent (internal/cardscript/card.js, which is served in front of this).

const form = document.querySelector('form[data-sign]');
if (form) start(form);

function start(form) {
  const view = makeView(form);
  const state = { busy: false, stop: false, leave: () => {} };
  const extension = findExtension();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (state.busy) return;
    state.busy = true;
    state.stop = false;
    view.begin();
    try {
      await signAll(form, view, state, await extension);
      window.location.assign(form.dataset.to); // the report
    } catch (error) {
      view.problem(error.text || form.dataset.lost);
      state.busy = false;
    }
  });
  form.querySelector('[data-stop]').addEventListener('click', () => {
    state.stop = true;
    view.progress(form.dataset.stopping);
    state.leave();
  });
}

async function signAll(form, view, state, hasExtension) {
  const waiting = form.dataset.orders.split(' ').filter(Boolean);
  view.progress(form.dataset.looking);
  let reader;
  let certificate;
  try {
    reader = await findReader(form, hasExtension, view, state);
    view.progress(form.dataset.reading);
    certificate = await reader.certificate();
  } catch (error) {
    await failed(form, waiting[0], error);
    return;
  }
  for (const order of waiting) {
    if (state.stop) return;
    const asked = await post(form, 'prepare', { order, certificate });
    if (asked.error) {
      view.row(order, asked.error);
      if (asked.stop) return;
      continue;
    }
    view.progress(asked.progress);
    view.fingerprint(asked.fingerprint);
    let signature;
    try {
      signature = await reader.sign(certificate, asked);
    } catch (error) {
      await failed(form, order, error);
      return;
    }
    const done = await post(form, 'finish', { order, request: asked.id, signature });
    view.row(order, done.error || done.text);
    if (done.stop) return;
  }
}

async function failed(form, order, error) {
  if (!(error instanceof Problem)) throw error;
  await post(form, 'failed', { order, code: error.code, tries: error.tries });
}

// post asks the desk. A session that ended meanwhile leads to signing in and back.
async function post(form, what, body) {
  const response = await fetch(`${form.dataset.to}/${what}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify(body),
  });
  if (response.type === 'opaqueredirect') {
    window.location.reload();
    return new Promise(() => {});
  }
  if (!response.headers.get('Content-Type')?.startsWith('application/json')) throw new Error(response.status);
  return response.json();
}

async function findReader(form, hasExtension, view, state) {
  if (hasExtension) return extensionReader(form);
  const permission = await networkPermission();
  if (permission === 'denied') throw new Problem('network_refused');
  const base = { known: '', permission };
  return agentReader(form, base, view, state);
}

// ---- Web eID extension.

function extensionReader(form) {
  const options = { lang: form.dataset.lang, userInteractionTimeout: 120000 };
  return {
    async certificate() {
      return (await ask('get-signing-certificate', { options }, personActs)).certificate;
    },
    async sign(certificate, { hash, hashFunction }) {
      return (await ask('sign', { certificate, hash, hashFunction, options }, personActs)).signature;
    },
  };
}

// ---- The agent on this machine.

function agentReader(form, at, view, state) {
  const { commune, lang } = form.dataset;
  const documents = Number(form.dataset.documents);
  return {
    async certificate() {
      return (await byAgent(form, at, 'certificate', { commune, documents, lang }, view, state)).certificate;
    },
    async sign(certificate, { hash, hashFunction, number }) {
      const body = { commune, documents, number, certificate, hash, hashFunction, lang };
      return (await byAgent(form, at, 'sign', body, view, state)).signature.signature;
    },
  };
}

async function byAgent(form, at, what, body, view, state) {
  const bases = at.known ? [at.known] : basesOfAgent(form.dataset.ports);
  const begun = await beginAtAgent(bases, what, body, at.permission);
  at.known = begun.base;
  return throughAgent(begun, view, (leave) => {
    state.leave = leave;
  });
}

// ---- What the person sees and hears.

function makeView(form) {
  const place = form.querySelector('[data-status]');
  const make = (role, look) => {
    const p = place.appendChild(document.createElement('p'));
    p.className = look;
    if (role) p.setAttribute('role', role);
    return p;
  };
  const progress = make('status', 'govuk-body');
  const fingerprint = make('', 'govuk-body');
  const offer = make('', 'govuk-body');
  const problem = make('alert', 'govuk-error-message');
  const begin = form.querySelector('[data-begin]');
  const stop = form.querySelector('[data-stop]');
  return {
    begin() {
      problem.textContent = '';
      begin.setAttribute('aria-disabled', 'true');
      stop.hidden = false;
    },
    progress(text) {
      progress.textContent = text;
      fingerprint.replaceChildren();
    },
    // What the card program's window shows of the document, to be compared by eye.
    fingerprint(text) {
      const hash = document.createElement('span');
      hash.className = 'b-hash';
      hash.textContent = text;
      fingerprint.replaceChildren(`${form.dataset.hash} `, hash);
    },
    offer(address) {
      showOffer(offer, address, form.dataset.open);
    },
    withdraw() {
      offer.replaceChildren();
    },
    row(order, text) {
      const cell = document.querySelector(`[data-order="${CSS.escape(order)}"]`);
      if (cell) cell.textContent = text;
    },
    problem(text) {
      progress.textContent = '';
      fingerprint.replaceChildren();
      offer.replaceChildren();
      problem.textContent = text;
      begin.setAttribute('aria-disabled', 'false');
      stop.hidden = true;
      begin.focus();
    },
  };
}
