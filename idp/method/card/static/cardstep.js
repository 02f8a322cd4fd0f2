// The card step of the login page: it brings the page's challenge to a card reading
// program and that program's answer back into the page's form. It sees no PIN and
// decides nothing: the provider checks the answer.
//
// Contract with the page (idp/method/card):
//
//   <form data-card                      the one form of this kind; it posts to the provider
//         data-nonce="…"                 the challenge, 44 to 128 characters of base64
//         data-ttl="300"                 seconds for which it is good, counted from the page's loading
//         data-purpose="login"           what the agent shows: "login" or "step-up"
//         data-lang="fr"                 language of the program's windows
//         data-ports="17394 20394 27394" where the agent may listen (eid.AgentPorts); the page's
//                                        connect-src lists http://127.0.0.1:PORT for each
//         data-renew="/…"                same-origin address: POST, empty body → {"nonce": "…", "ttl": 300}
//         data-texts='{"step_looking": "…", "no_card": "…"}'>   the texts card.* without their prefix;
//                                        pin_incorrect as {"one": "…", "other": "…"}, {{.Count}} left in
//     <input type="hidden" name="nonce">  the challenge again; follows a renewal
//     <input type="hidden" name="token">  filled with the web-eid:1.0 token as JSON, then the form is sent
//     <input type="hidden" name="problem"> filled with why a card cannot sign anybody in; then the form is sent
//     <input type="checkbox" name="address"> where the application asks for the address on the card, with
//     <input type="hidden" name="identity">  filled with the card's files as JSON, if our agent read them
//     <button>…</button>                  starts; a form with a filled token is sent as it is
//     <div data-card-status></div>        made into a live region: progress, the link to the agent's
//   </form>                               window, or what went wrong
//   <details data-card-help>              what to install and what other way there is; opened where
//                                        no program answers
//
// The Web eID extension is asked first, where it answers and the page is a secure
// context; else the agent (internal/cardscript/card.js, which is served in front of this).

const spare = 150; // seconds that must be left of a challenge when a card program starts with it

const form = document.querySelector('form[data-card]');
if (form) start(form);

function start(form) {
  const step = {
    nonce: form.dataset.nonce,
    until: performance.now() + 1000 * Number(form.dataset.ttl || 300),
    extension: findExtension(),
    busy: false,
  };
  const view = makeView(form);
  form.addEventListener('submit', async (event) => {
    if (form.elements.token.value) return; // the answer is in: let it go
    event.preventDefault();
    if (step.busy) return;
    step.busy = true;
    view.begin();
    try {
      const { token, identity } = await authenticate(form, step, view);
      form.elements.token.value = JSON.stringify(token);
      if (identity) form.elements.identity.value = JSON.stringify(identity);
      view.progress('step_sending');
      form.requestSubmit();
    } catch (error) {
      if (error.code?.startsWith('no_certificate')) {
        form.elements.problem.value = error.code;
        HTMLFormElement.prototype.submit.call(form); // without the event: the provider explains, and offers other ways
        return;
      }
      view.problem(error instanceof Problem ? error : new Problem('failed'));
    } finally {
      step.busy = false;
    }
  });
  // Back from the browser's memory: the answer was used, the challenge too.
  window.addEventListener('pageshow', (event) => {
    if (!event.persisted) return;
    form.elements.token.value = '';
    form.elements.problem.value = '';
    step.until = 0;
    view.end();
  });
}

async function authenticate(form, step, view) {
  view.progress('step_looking');
  await refresh(form, step, view);
  if (form.elements.address?.checked) {
    try {
      return await byAgent(form, step, view, true);
    } catch (error) {
      // The extension reads no addresses, but signs in all the same.
      if (!['no_reader_software', 'network_refused'].includes(error.code) || !(await step.extension)) throw error;
    }
  }
  if (await step.extension) {
    view.progress('step_extension');
    try {
      return await byExtension(step.nonce, form.dataset.lang);
    } catch (error) {
      if (error.code !== 'no_reader_software') throw error;
      view.progress('step_looking'); // the extension without its program: the agent may be there
    }
  }
  return byAgent(form, step, view);
}

// refresh asks for another challenge where too little time is left of this one.
async function refresh(form, step, view) {
  if (step.until - performance.now() > 1000 * spare) return;
  let answer;
  try {
    const response = await fetch(form.dataset.renew, { method: 'POST', headers: { Accept: 'application/json' } });
    if (!response.ok) throw new Error(response.status);
    answer = await response.json();
  } catch {
    throw new Problem('step_expired');
  }
  step.nonce = answer.nonce;
  form.elements.nonce.value = answer.nonce;
  step.until = performance.now() + 1000 * answer.ttl;
  view.progress('step_renewed');
}

async function byExtension(nonce, lang) {
  return { token: tokenOf(await ask('authenticate', { challengeNonce: nonce, options: { lang, userInteractionTimeout: 120000 } }, personActs)) };
}

// tokenOf takes a token, of format 1.0 or 1.1, out of what came with it; absent members stay absent.
function tokenOf({ unverifiedCertificate, algorithm, signature, format, appVersion, unverifiedSigningCertificates }) {
  return { unverifiedCertificate, algorithm, signature, format, appVersion, unverifiedSigningCertificates };
}

async function byAgent(form, step, view, address) {
  const permission = await networkPermission();
  if (permission === 'denied') throw new Problem('network_refused');
  const { purpose, lang, ports } = form.dataset;
  const begun = await beginAtAgent(basesOfAgent(ports), 'authenticate', { nonce: step.nonce, purpose, lang, ...(address && { address }) }, permission);
  view.progress('step_confirm');
  const answer = await throughAgent(begun, view);
  return { token: tokenOf(answer.token), identity: answer.identity };
}

// ---- What the person sees and hears.

function makeView(form) {
  const texts = JSON.parse(form.dataset.texts || '{}');
  const place = form.querySelector('[data-card-status]');
  const progress = place.appendChild(document.createElement('p'));
  progress.className = 'govuk-body';
  progress.setAttribute('role', 'status');
  const offer = place.appendChild(document.createElement('p'));
  offer.className = 'govuk-body';
  const problem = place.appendChild(document.createElement('p'));
  problem.className = 'govuk-error-message';
  problem.setAttribute('role', 'alert');
  const help = document.querySelector('[data-card-help]');
  const buttons = [...form.querySelectorAll('button')];

  function text(code, tries) {
    if (code === 'pin_incorrect' && texts.pin_incorrect && tries !== undefined) {
      return texts.pin_incorrect[tries === 1 ? 'one' : 'other'].replace('{{.Count}}', tries);
    }
    if (code === 'pin_incorrect') return texts.pin_wrong;
    return texts[code] || texts.failed || code;
  }
  function clear() {
    progress.textContent = '';
    offer.replaceChildren();
    problem.textContent = '';
  }
  function enable(on) {
    for (const b of buttons) b.setAttribute('aria-disabled', String(!on));
  }
  return {
    begin() {
      clear();
      enable(false);
    },
    end() {
      clear();
      enable(true);
    },
    progress(code) {
      progress.textContent = text(code);
    },
    offer(address) {
      showOffer(offer, address, text('step_open'));
    },
    withdraw() {
      offer.replaceChildren();
    },
    problem({ code, tries }) {
      clear();
      enable(true);
      problem.textContent = text(code, tries);
      if (code === 'no_reader_software' || code === 'no_middleware') help?.setAttribute('open', '');
      buttons[0]?.focus();
    },
  };
}
