// Sends with @rudderstack/rudder-sdk-node: <host> <write key>.
const Analytics = require('@rudderstack/rudder-sdk-node')

const [host, writeKey] = process.argv.slice(2)
const analytics = new (Analytics.default || Analytics)(writeKey, { dataPlaneUrl: host, flushAt: 20 })
analytics.identify({ userId: 'u1', traits: { phone: '+8613800138000', email: 'li@example.com', city: '杭州' } })
analytics.track({ userId: 'u1', event: 'purchase', properties: { order_id: 'o1', product_id: 'p1', price: 9.9, quantity: 1 } })
analytics.page({ userId: 'u1', category: 'shop', name: 'Home', properties: { url: 'https://shop.example.com/' } })
analytics.screen({ userId: 'u1', name: 'Settings' })
analytics.group({ userId: 'u1', groupId: 'g1', traits: { name: 'Initech' } })
analytics.alias({ userId: 'u1', previousId: 'a1' })
analytics.track({ userId: 'u1', event: 'nonsense' })
analytics.flush((error) => { if (error) console.log('error:', error) })
