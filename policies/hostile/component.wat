;; Is a component, not a core module.
(component)
