"""An identity provider made of lasso, the library that many French and Belgian public
services use. It reads one job as JSON from its standard input and answers in JSON.

What it checks of a request (its signature first) is lasso's own doing.
"""
import datetime
import json
import sys

import lasso


def moment(minutes):
    return (datetime.datetime.utcnow() + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def server_of(job):
    server = lasso.Server.newFromBuffers(job["metadata"], job["key"], None, job["certificate"])
    server.signatureMethod = lasso.SIGNATURE_METHOD_RSA_SHA256
    server.addProviderFromBuffer(lasso.PROVIDER_ROLE_SP, job["service"])
    provider = server.getProvider(job["entity"])
    if job["encrypt"]:
        provider.setEncryptionMode(lasso.ENCRYPTION_MODE_ASSERTION)
        provider.setEncryptionSymKeyType(lasso.ENCRYPTION_SYM_KEY_TYPE_AES_256)
    return server


def attribute(name, value):
    text = lasso.MiscTextNode.newWithString(value)
    text.textChild = True
    inside = lasso.Saml2AttributeValue()
    inside.any = (text,)
    made = lasso.Saml2Attribute()
    made.name, made.nameFormat = name, lasso.SAML2_ATTRIBUTE_NAME_FORMAT_BASIC
    made.attributeValue = (inside,)
    return made


def message(job):
    return job["query"] if job["binding"] == "redirect" else job["form"]["SAMLRequest"]


def login(job, server):
    work = lasso.Login(server)
    work.processAuthnRequestMsg(message(job))
    work.validateRequestMsg(True, True)
    work.buildAssertion(job["level"], moment(0), None, moment(-1), moment(5))
    statement = lasso.Saml2AttributeStatement()
    statement.attribute = tuple(attribute(name, value) for name, value in job["attributes"].items())
    work.assertion.attributeStatement = (statement,)
    work.buildAuthnResponseMsg()
    asked = work.request.requestedAuthnContext
    return {
        "action": work.msgUrl, "SAMLResponse": work.msgBody, "RelayState": job["relay"],
        "levels": list(asked.authnContextClassRef) if asked else [], "forced": bool(work.request.forceAuthn),
        "session": work.session.dump(), "identity": work.identity.dump() if work.identity else None,
    }


def logout(job, server):
    work = lasso.Logout(server)
    work.setSessionFromDump(job["session"])
    work.processRequestMsg(message(job))
    work.validateRequest()
    work.buildResponseMsg()
    return {"link": work.msgUrl, "body": work.msgBody}


def leave(job, server):
    work = lasso.Logout(server)
    work.setSessionFromDump(job["session"])
    work.initRequest(job["entity"], lasso.HTTP_METHOD_REDIRECT)
    work.msgRelayState = "peer"
    work.buildRequestMsg()
    return {"link": work.msgUrl}


def main():
    job = json.load(sys.stdin)
    try:
        answer = {"login": login, "logout": logout, "leave": leave}[job["what"]](job, server_of(job))
    except lasso.Error as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


main()
