-- An unused key is void from now on; the link of a used one stays. Put spec.issueKey.revision under ignoreDifferences,
-- or self-heal takes it back.
obj.spec.issueKey.revision = (obj.spec.issueKey.revision or 1) + 1
return obj
