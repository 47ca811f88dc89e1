"""HTTP APIs that agents declare themselves: routes from agent types, requests as calls of their methods.

    CodeFirstSites   SiteSource: the site of a domain, compiled from what is deployed there
    compile_api      agent types and a deployment -> routes, or a list of what is wrong with them
    Router           method and path -> route
    CodeFirstSite    a request -> a call of a method -> a response

Promises that a request that a route takes becomes one invocation of one agent, whatever it holds, and that everything
that can be found wrong with a declaration is found when it is deployed. Depends on the durable core (invocations,
promises) and the model. Reference: gateway, section 3.
"""
