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
// context; else our agent (cmd/eid-agent/sign.go).

const extensionAnswers = 1000; // ms, Web eID's own limit for an extension to acknowledge
const agentAnswers = 4000;
const agentPrompted = 60000; // while the browser may be asking the person for permission
const personActs = 150000; // ms for card and PIN

class Problem extends Error {
  constructor(code, tries = 0) {
    super(code);
    this.code = code;
    this.tries = tries;
  }
}

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

// ---- Web eID extension: messages of this window, each acknowledged within a second.

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

function ask(action, details, patience) {
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => finish(reject, new Problem('no_reader_software')), extensionAnswers);
    function finish(settle, value) {
      clearTimeout(timer);
      window.removeEventListener('message', hear);
      settle(value);
    }
    function hear(event) {
      if (event.source !== window || event.origin !== window.location.origin) return;
      switch (event.data?.action) {
        case `web-eid:${action}-ack`:
          clearTimeout(timer);
          timer = setTimeout(() => finish(reject, new Problem('timeout')), patience);
          break;
        case `web-eid:${action}-success`:
          finish(resolve, event.data);
          break;
        case `web-eid:${action}-failure`:
          finish(reject, new Problem(extensionCode(event.data.error?.code)));
          break;
      }
    }
    window.addEventListener('message', hear);
    window.postMessage({ action: `web-eid:${action}`, libraryVersion: '2.0.0', ...details }, window.location.origin);
  });
}

function extensionCode(code) {
  switch (code) {
    case 'ERR_WEBEID_USER_CANCELLED':
      return 'cancelled';
    case 'ERR_WEBEID_USER_TIMEOUT':
    case 'ERR_WEBEID_ACTION_TIMEOUT':
      return 'timeout';
    case 'ERR_WEBEID_ACTION_PENDING':
      return 'busy';
    case 'ERR_WEBEID_EXTENSION_UNAVAILABLE':
    case 'ERR_WEBEID_NATIVE_UNAVAILABLE':
    case 'ERR_WEBEID_VERSION_MISMATCH':
    case 'ERR_WEBEID_VERSION_INVALID':
    case 'ERR_WEBEID_CONTEXT_INSECURE':
      return 'no_reader_software';
  }
  return 'failed';
}

// findExtension is begun with the page, so that nobody waits for a missing one.
async function findExtension() {
  if (!window.isSecureContext) return false;
  if (document.readyState !== 'complete') await new Promise((done) => window.addEventListener('load', done, { once: true }));
  try {
    await ask('status', {}, 6000);
    return true;
  } catch {
    return false;
  }
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
  const { base, request } = await beginAtAgent(form, at, what, body);
  at.known = base;
  const address = `${base}/${what}/${request.id}`;
  state.leave = () => fetch(address, { method: 'DELETE', credentials: 'omit', keepalive: true }).catch(() => {});
  window.addEventListener('pagehide', state.leave, { once: true });
  try {
    if (request.confirm?.startsWith(base + '/')) view.offer(request.confirm);
    return await answerOfAgent(address);
  } finally {
    window.removeEventListener('pagehide', state.leave);
    state.leave = () => {};
    view.withdraw();
  }
}

// networkPermission is what the person told the browser about pages that reach this
// machine; '' where the browser has no such question.
async function networkPermission() {
  for (const name of ['loopback-network', 'local-network-access']) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch {
      // not this browser's name for it
    }
  }
  return '';
}

async function beginAtAgent(form, at, what, body) {
  const bases = at.known ? [at.known] : form.dataset.ports.split(' ').filter(Boolean).map((port) => `http://127.0.0.1:${port}`);
  for (const base of bases) {
    let response;
    let answer;
    try {
      response = await fetch(`${base}/${what}`, {
        method: 'POST',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(at.permission === 'prompt' ? agentPrompted : agentAnswers),
      });
      answer = await response.json();
    } catch {
      continue; // nobody there, or not our agent
    }
    if (answer.agent !== 'belfry') continue;
    if (answer.error) throw new Problem(answer.error.code, answer.error.tries);
    if (response.status === 202) return { base, request: answer };
  }
  throw new Problem((await networkPermission()) === 'denied' ? 'network_refused' : 'no_reader_software');
}

// answerOfAgent waits: each GET is held by the agent for a few seconds.
async function answerOfAgent(address) {
  const end = performance.now() + personActs;
  let lost = 0;
  while (performance.now() < end) {
    let answer;
    try {
      const response = await fetch(address, { credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(20000) });
      answer = await response.json();
      lost = 0;
    } catch {
      if (++lost === 3) throw new Problem('failed');
      await new Promise((done) => setTimeout(done, 500));
      continue;
    }
    if (answer.error) throw new Problem(answer.error.code, answer.error.tries);
    if (answer.state !== 'waiting') return answer;
  }
  throw new Problem('timeout');
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
    // The agent's own window; a blocker may swallow it, the link stays.
    offer(address) {
      const link = document.createElement('a');
      link.href = address;
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
      link.className = 'govuk-link';
      link.textContent = form.dataset.open;
      offer.replaceChildren(link);
      window.open(address, '_blank', 'popup,noopener,noreferrer,width=560,height=720');
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
