"""Salesforce as a target: one org over its documented REST, Bulk 2.0 and Metadata interfaces.

Not for deciding anything: what to write, in which order and when to ask again is the upper floors' business.
Facts about the platform carry their source where they are stated; *unverified* marks what no public document
or recorded traffic confirms. Nothing here has been run against a live org yet.
"""
