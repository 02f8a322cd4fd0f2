// An identity provider made of samlp (Auth0). It reads one job as JSON from its standard
// input and answers in JSON. What it checks of a request is samlp's own doing.
'use strict';
const samlp = require('samlp');

const job = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answer = (value) => process.stdout.write(JSON.stringify(value), () => process.exit(0));
const failed = (error) => answer({ error: String(error.message || error) });

// mapped is how samlp is told what to say of a user.
function mapped(user) {
  return { getClaims: () => user.attributes, getNameIdentifier: () => ({ nameIdentifier: user.id, nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }) };
}
mapped.prototype = { metadata: [] };

const options = {
  issuer: job.issuer, cert: job.certificate, key: job.key, signingCert: job.serviceCertificate, deflate: true,
  RelayState: job.relay,
  signResponse: true, audience: job.entity, destination: job.consumer, recipient: job.consumer,
  authnContextClassRef: job.level, lifetimeInSeconds: 300, signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256',
  getPostURL: (realm, reply, request, done) => done(null, job.consumer),
  getUserFromRequest: () => ({ id: '_peer', attributes: job.attributes }),
  profileMapper: mapped,
  responseHandler: (response, opts) => answer({ action: job.consumer, SAMLResponse: response.toString('base64'), RelayState: job.relay }),
};
if (job.encrypt) {
  Object.assign(options, {
    encryptionCert: job.serviceEncryption, encryptionPublicKey: job.serviceEncryptionKey,
    encryptionAlgorithm: 'http://www.w3.org/2009/xmlenc11#aes256-gcm', keyEncryptionAlgorithm: 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p',
  });
}
const redirect = job.binding === 'redirect';
const request = {
  method: redirect ? 'GET' : 'POST', query: redirect ? Object.fromEntries(new URLSearchParams(job.query)) : {}, body: redirect ? {} : job.form,
  url: '/sso?' + job.query, originalUrl: '/sso?' + job.query, headers: {}, get: () => undefined, user: { id: '_peer' }, protocol: 'https',
};
const response = { status() { return this; }, send: failed, set() {}, setHeader() {}, redirect: (to) => answer({ link: to }) };
samlp.auth(options)(request, response, failed);
