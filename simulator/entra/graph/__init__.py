"""Microsoft Graph v1.0 as far as the portal calls it: PIM for Groups, directory, provisioning."""
