// A real OpenID Connect issuer (npm oidc-provider) for tests. It signs people in by the name in `login_hint` or in the
// form, and is told by its standard input to rotate keys. Its first line of output is its address.
import http from 'node:http'
import { createInterface } from 'node:readline'
import { generateKeyPairSync, createPublicKey } from 'node:crypto'

const { Provider } = await import(process.argv[2])
const options = JSON.parse(process.argv[3])

const key = (kid) => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256',
})
const server = http.createServer()
await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${server.address().port}`

const make = (kid) => {
  const provider = new Provider(url, {
    clients: [{
      client_id: options.client_id,
      ...(options.client_secret ? { client_secret: options.client_secret } : { token_endpoint_auth_method: 'none' }),
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [options.redirect_uri],
      post_logout_redirect_uris: [options.post_logout_redirect_uri],
      ...options.client,
    }],
    jwks: { keys: [key(kid)] },
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'], groups: ['groups', 'github'] },
    conformIdTokenClaims: options.claims_by_userinfo ?? false,
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, userinfo: { enabled: true },
                deviceFlow: { enabled: options.devices ?? false } },
    rotateRefreshToken: true,
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token') && options.refresh !== false,
    ttl: { IdToken: options.seconds ?? 3600, AccessToken: options.seconds ?? 3600, AuthorizationCode: 60, Grant: 3600,
           Interaction: 3600, RefreshToken: 3600, Session: 3600 },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `Person ${id}`, preferred_username: id, email: `${id}@example.org`,
                       groups: options.groups?.[id] ?? [], github: options.github?.[id] }),
    }),
  })
  return provider.callback()
}
let answer = make('first')
server.on('request', (request, response) => answer(request, response))
process.stdout.write(`${url}\n`)
createInterface({ input: process.stdin }).on('line', (line) => {
  answer = make(line)
  process.stdout.write(`rotated ${line}\n`)
}).on('close', () => process.exit(0))
