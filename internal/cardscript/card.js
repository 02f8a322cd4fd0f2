// The ways from a page to a card: the Web eID extension, and our agent on this machine
// (cmd/eid-agent/door.go). Served in front of the script of a step (cardscript.go), which
// decides what is asked and what the person reads. It sees no PIN.

const extensionAnswers = 1000; // ms, Web eID's own limit for an extension to acknowledge
const agentAnswers = 4000;
const agentPrompted = 60000; // while the browser may be asking the person for permission
const personActs = 150000; // ms for card and PIN

// Problem is what went wrong, by the code of the text about it.
class Problem extends Error {
  constructor(code, tries) {
    super(code);
    this.code = code;
    this.tries = tries;
  }
}

// ---- Web eID extension: messages of this window, each acknowledged within a second.

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

// basesOfAgent are the addresses at which the agent may listen.
function basesOfAgent(ports) {
  return ports.split(' ').filter(Boolean).map((port) => `http://127.0.0.1:${port}`);
}

// beginAtAgent gives a request to the first agent that answers.
async function beginAtAgent(bases, what, body, permission) {
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
        signal: AbortSignal.timeout(permission === 'prompt' ? agentPrompted : agentAnswers),
      });
      answer = await response.json();
    } catch {
      continue; // nobody there, or not our agent
    }
    if (answer.agent !== 'belfry') continue;
    if (answer.error) throw new Problem(answer.error.code, answer.error.tries);
    if (response.status === 202) return { base, what, request: answer };
  }
  throw new Problem((await networkPermission()) === 'denied' ? 'network_refused' : 'no_reader_software');
}

// throughAgent waits for the answer to a request that the agent has taken; the agent is told when the
// person leaves the page. offer(address) shows the agent's own window, withdraw() takes
// the offer back; left(leave) is told how to give the request up.
async function throughAgent({ base, what, request }, { offer, withdraw }, left = () => {}) {
  const address = `${base}/${what}/${request.id}`;
  const leave = () => fetch(address, { method: 'DELETE', credentials: 'omit', keepalive: true }).catch(() => {});
  left(leave);
  window.addEventListener('pagehide', leave, { once: true });
  try {
    if (request.confirm?.startsWith(base + '/')) offer(request.confirm);
    return await answerOfAgent(address);
  } finally {
    window.removeEventListener('pagehide', leave);
    left(() => {});
    withdraw();
  }
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

// showOffer puts a link to the agent's own window in place, and opens it; a blocker may
// swallow the window, the link stays.
function showOffer(place, address, text) {
  const link = document.createElement('a');
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  link.className = 'govuk-link';
  link.textContent = text;
  place.replaceChildren(link);
  window.open(address, '_blank', 'popup,noopener,noreferrer,width=560,height=720');
}
