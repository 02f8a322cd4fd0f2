// An identity provider made of samlify. It reads one job as JSON from its standard input
// and answers in JSON. What it checks of a request is samlify's own doing.
'use strict';
const samlify = require('samlify');
const { randomUUID } = require('crypto');

samlify.setSchemaValidator({ validate: async () => 'not looked at' }); // it needs one; schemas are not its matter here

const job = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const uri = samlify.Constants.wording;
const names = Object.keys(job.attributes);

const provider = samlify.IdentityProvider({
  entityID: job.issuer, privateKey: job.key, signingCert: job.certificate, isAssertionEncrypted: job.encrypt,
  messageSigningOrder: 'encrypt-then-sign', wantAuthnRequestsSigned: true,
  requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  dataEncryptionAlgorithm: 'http://www.w3.org/2009/xmlenc11#aes256-gcm', keyEncryptionAlgorithm: 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p',
  nameIDFormat: ['urn:oasis:names:tc:SAML:2.0:nameid-format:transient'],
  singleSignOnService: [
    { Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', Location: job.sso },
    { Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST', Location: job.sso },
  ],
  singleLogoutService: [
    { Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', Location: job.slo },
    { Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST', Location: job.slo },
  ],
  loginResponseTemplate: {
    context: samlify.SamlLib.defaultLoginResponseTemplate.context,
    attributes: names.map((name) => ({ name, valueTag: name.toLowerCase(), nameFormat: 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic', valueXsiType: 'xs:string' })),
  },
});
const service = samlify.ServiceProvider({ metadata: job.service, wantMessageSigned: true, wantLogoutRequestSigned: true, wantLogoutResponseSigned: true });

// incoming is a request as samlify wants to be given it: the redirect binding's signed
// bytes are those of the query as it came.
function incoming() {
  if (job.binding !== 'redirect') return { body: job.form };
  const query = Object.fromEntries(new URLSearchParams(job.query));
  const pairs = job.query.split('&');
  const octetString = ['SAMLRequest', 'RelayState', 'SigAlg'].map((name) => pairs.find((pair) => pair.startsWith(name + '='))).filter(Boolean).join('&');
  return { query, octetString };
}

const moment = (minutes) => new Date(Date.now() + minutes * 60000).toISOString().replace(/\.\d+Z$/, 'Z');

// filled puts the values into samlify's template, with the statement that it leaves out.
function filled(template, asked) {
  const statement = `<saml:AuthnStatement AuthnInstant="${moment(0)}" SessionIndex="_session"><saml:AuthnContext><saml:AuthnContextClassRef>${job.level}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`;
  const id = '_' + randomUUID();
  const tags = {
    ID: id, AssertionID: '_' + randomUUID(), Destination: job.consumer, Audience: job.entity, EntityID: job.entity, SubjectRecipient: job.consumer,
    Issuer: job.issuer, IssueInstant: moment(0), AssertionConsumerServiceURL: job.consumer, StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Success',
    ConditionsNotBefore: moment(-1), ConditionsNotOnOrAfter: moment(5), SubjectConfirmationDataNotOnOrAfter: moment(5),
    NameIDFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient', NameID: '_peer', InResponseTo: asked, AuthnStatement: '',
  };
  for (const name of names) tags['attr' + name[0].toUpperCase() + name.slice(1).toLowerCase()] = job.attributes[name];
  const whole = template.replace('{AuthnStatement}', statement);
  return { id, context: samlify.SamlLib.replaceTagsByValue(whole, tags) };
}

async function login() {
  const asked = await provider.parseLoginRequest(service, job.binding, incoming());
  const made = await provider.createLoginResponse(service, asked, 'post', {}, (template) => filled(template, asked.extract.request.id), job.encrypt);
  return { action: made.entityEndpoint, SAMLResponse: made.context, RelayState: job.relay };
}

async function logout() {
  const asked = await provider.parseLogoutRequest(service, job.binding, incoming());
  const made = provider.createLogoutResponse(service, asked, 'redirect', job.relay);
  return { link: made.context, name: asked.extract.nameID };
}

async function leave() {
  const made = provider.createLogoutRequest(service, 'redirect', { logoutNameID: '_peer', sessionIndex: '_session' }, 'peer');
  return { link: made.context };
}

({ login, logout, leave })[job.what]()
  .then((value) => process.stdout.write(JSON.stringify(value)))
  .catch((error) => process.stdout.write(JSON.stringify({ error: String(error.message || error) })));
